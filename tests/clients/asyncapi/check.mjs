// Checks docs/asyncapi-*.yaml with AsyncAPI's own parser, whose warnings are errors here, too. The examples of the WebSocket's
// messages, which the tests of Rust and TypeScript read as well, must be valid in its schemas and have no member that they
// do not name. The names and properties of the bus must be those of docs/protocol.md.
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { fromFile, Parser } from "@asyncapi/parser";
import { ProtoBuffSchemaParser } from "@asyncapi/protobuf-schema-parser";
import Ajv from "ajv";
import addFormats from "ajv-formats";

const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const problems = [];

// The parser resolves `$ref` to JSON and YAML only: a .proto is passed on as its text.
const protobuf = {
  schema: "file",
  order: 1,
  canRead: (uri) => uri.filename().endsWith(".proto"),
  read: (uri) => JSON.stringify(readFileSync(uri.path(), "utf8")),
};
const parser = new Parser({ __unstable: { resolver: { resolvers: [protobuf] } } });
parser.registerSchemaParser(ProtoBuffSchemaParser());

async function parsed(name) {
  const { document, diagnostics } = await fromFile(parser, join(root, "docs", name)).parse();
  for (const { message, path, severity } of diagnostics) {
    // 0: error, 1: warning.
    if (severity <= 1) problems.push(`${name}: ${path.join(".")}: ${message}`);
  }
  return document;
}

/** A copy of a schema which refuses members that it does not name. */
function closed(schema) {
  if (Array.isArray(schema)) return schema.map(closed);
  if (schema === null || typeof schema !== "object") return schema;
  const members = Object.entries(schema).filter(([name]) => !name.startsWith("x-parser-"));
  const copy = Object.fromEntries(members.map(([name, value]) => [name, closed(value)]));
  return copy.properties && copy.type === "object" ? { ...copy, additionalProperties: false } : copy;
}

function checkExamples(document) {
  const ajv = addFormats(new Ajv({ allowUnionTypes: true }));
  const messages = document?.channels().get("subscribe").messages().all() ?? [];
  const schemas = new Map(messages.map((message) => [message.id(), ajv.compile(closed(message.payload().json()))]));
  const unused = new Set(schemas.keys());
  const check = (where, kind, value) => {
    const valid = schemas.get(kind);
    unused.delete(kind);
    if (!valid?.(value)) problems.push(`${where}: ${ajv.errorsText(valid?.errors)}`);
  };
  const directory = join(root, "tests/fixtures/wire");
  for (const file of readdirSync(directory).filter((name) => name.endsWith(".json"))) {
    const example = JSON.parse(readFileSync(join(directory, file), "utf8"));
    check(file, Object.keys(example)[0], example);
  }
  const [, first] = /```json\n(\{"token".*\})\n```/.exec(readFileSync(join(root, "docs/protocol.md"), "utf8"));
  check("docs/protocol.md", "subscribeRequest", JSON.parse(first));
  for (const kind of unused) problems.push(`docs/asyncapi-websocket.yaml: ${kind} has no example`);
}

function checkBus(document) {
  if (!document) return;
  const { channels, operations, components } = document.json();
  const protocol = readFileSync(join(root, "docs/protocol.md"), "utf8");
  const values = [
    channels.exchange.bindings.amqp.exchange.name,
    channels.privateQueue.address.replace("{uuid}", "<uuid>"),
    channels.deadLetters.address,
    String(operations.publish.bindings.amqp.expiration),
    components.messages.batch.contentType,
  ];
  for (const value of values) {
    if (!protocol.includes(`\`${value}\``)) problems.push(`docs/asyncapi-bus.yaml: ${value} is not in docs/protocol.md`);
  }
  // As the parser of Protobuf reads batch.proto.
  const { schema } = document.channels().get("exchange").messages().get("batch").payload().json();
  if (!schema?.properties?.publisher_high) problems.push("docs/asyncapi-bus.yaml: batch.proto was not read");
}

checkBus(await parsed("asyncapi-bus.yaml"));
checkExamples(await parsed("asyncapi-websocket.yaml"));
for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;
