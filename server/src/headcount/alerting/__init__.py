"""Telling people: from what was found to be told, to who is to hear of it.

Takes events out of the store, rules and channels out of the catalog; sends, tries again for days,
and writes down what became of it. Counting never waits for any of this.

    rules           a rule as somebody gives it
    alert_notices   an event in words, as JSON
    notice_page     what a person reads of it
    channels        what may be typed of a channel, and how it is kept: sealed
    webhook_posts, mail, apprise_services   one telling each: by a signed webhook, e-mail, Apprise
    tell_channels   which of them, and what became of it
    deliverer       what is due, again and again until it is done
    telling_again   something again, or to whom there was not before
    digest_pictures its charts, drawn in time or left out
    digests         what a day or a week was like, with charts
"""
