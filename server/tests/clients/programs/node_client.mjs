// Plays calls through @segment/analytics-node: takes a task on standard input, sends, and ends.
// The task is JSON: host, writeKey and calls, in the words of the tracking API. Ends with status 1
// when the SDK says that it could not deliver something.
import { readFileSync } from "node:fs";
import { Analytics } from "@segment/analytics-node";

const { host, writeKey, calls } = JSON.parse(readFileSync(0, "utf8"));
const analytics = new Analytics({ host, writeKey });
analytics.on("error", (error) => {
  console.error(error);
  process.exitCode = 1;
});
for (const { type, ...call } of calls) {
  // This SDK takes no ids but texts.
  analytics[type]("userId" in call ? { ...call, userId: String(call.userId) } : call);
}
await analytics.closeAndFlush();
