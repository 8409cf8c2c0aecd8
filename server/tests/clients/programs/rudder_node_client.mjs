// Plays calls through @rudderstack/rudder-sdk-node: takes a task on standard input, sends, and ends.
// The task is JSON: host, writeKey and calls, in the words of the tracking API. Ends with status 1
// when the SDK says that it could not deliver something.
import { readFileSync } from "node:fs";
import RudderAnalytics from "@rudderstack/rudder-sdk-node";

const { host, writeKey, calls } = JSON.parse(readFileSync(0, "utf8"));
const analytics = new RudderAnalytics(writeKey, { dataPlaneUrl: host, logLevel: "none" });
for (const { type, ...call } of calls) {
  // This SDK takes no ids but texts.
  analytics[type]("userId" in call ? { ...call, userId: String(call.userId) } : call);
}
// What a flush finds in the queue is one batch, so there may be several of them.
do {
  await analytics.flush();
} while (analytics.queue.length > 0);
