// Plays visits through @jitsu/js, outside of a browser: takes a task on standard input, sends, ends.
// The task is JSON: host, writeKey and visits, each with an anonymousId and a userId. Of a visit come
// two tracks and a page before the visitor is known, and an identify, a group and a track after.
import { readFileSync } from "node:fs";
import { jitsuAnalytics } from "@jitsu/js";

const { host, writeKey, visits } = JSON.parse(readFileSync(0, "utf8"));
for (const { anonymousId, userId } of visits) {
  // Its keys have two parts, and it takes no others.
  const jitsu = jitsuAnalytics({ host, writeKey: `${writeKey}:any` });
  jitsu.setAnonymousId(anonymousId);
  await jitsu.track("Seen", { number: 1 });
  await jitsu.track("Seen", { number: 2 });
  await jitsu.page({ name: "Home" });
  await jitsu.identify(userId, { plan: "free" });
  await jitsu.group("team", { size: 3 });
  await jitsu.track("Bought");
}
