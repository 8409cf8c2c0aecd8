"""Telling people: from what was found to be told, to who is to hear of it.

Takes events out of the store, rules and channels out of the catalog; sends, tries again for days,
and writes down what became of it. Counting never waits for any of this.

    notices       an event in words, for people and for programs
    channels      what may be typed of a channel, and how it is kept: sealed
    webhooks, mail, services    one telling each: by a signed webhook, e-mail, or through Apprise
    telling       which of them, and what became of it
    deliverer     what is due, again and again until it is done
    digests       what a day or a week was like, with charts
"""
