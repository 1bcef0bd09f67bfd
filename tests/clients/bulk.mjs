// Sends many records at once on a few streams of one connection, and counts the answers; other calls are made at the same time, as long
// as that takes.
//
//     node bulk.mjs 127.0.0.1:50051 8 10000
import { fileURLToPath } from "node:url";
import { setTimeout as pause } from "node:timers/promises";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const [target, streams, records] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const proto = fileURLToPath(new URL("../../proto", import.meta.url));
const loaded = loader.loadSync("ringpad/v1/ingest.proto", { includeDirs: [proto], keepCase: true, enums: String });
const { IngestService } = grpc.loadPackageDefinition(loaded).ringpad.v1;
const client = new IngestService(target, grpc.credentials.createInsecure());
const run = Date.now().toString(36);

function record(seq) {
  const korea = new Date(Date.now() + 9 * 3_600_000).toISOString();
  const sdt = korea.replace(/[-T:]/g, "").slice(0, 14);
  return { source: "bizcall", cdr: { seq, sdt, fromn: "01012345678", vn: "050712345678" } };
}

function send(stream) {
  return new Promise((resolve) => {
    const call = client.ingestCallStream({ deadline: Date.now() + 300_000 });
    let answered = 0;
    call.on("data", (answer) => (answered += answer.error ? 0 : 1));
    call.on("error", (error) => {
      console.error(`stream ${stream}: ${error.message}`);
      resolve(answered);
    });
    call.on("end", () => resolve(answered));
    // All at once: what is not sent yet waits in the library.
    for (let index = 0; index < records; index += 1) call.write(record(`${run}-${stream}-${index}`));
    call.end();
  });
}

const single = { answered: 0, failed: 0 };
let done = false;
async function callBeside() {
  while (!done) {
    await pause(10);
    const request = record(`${run}-single-${single.answered + single.failed}`);
    await new Promise((resolve) => {
      client.ingestCall(request, { deadline: Date.now() + 60_000 }, (error) => {
        single[error ? "failed" : "answered"] += 1;
        resolve();
      });
    });
  }
}

const begun = Date.now();
const besides = callBeside();
const counts = await Promise.all(Array.from({ length: streams }, (_, stream) => send(stream)));
done = true;
await besides;
client.close();
const answered = counts.reduce((sum, count) => sum + count, 0);
console.log(
  `node: ${answered} of ${streams * records} answered in ${((Date.now() - begun) / 1000).toFixed(1)} s; ` +
    `single calls: ${single.answered} answered, ${single.failed} failed`,
);
process.exit(answered === streams * records && single.failed === 0 ? 0 : 1);
