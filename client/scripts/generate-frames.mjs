/**
 * Makes realtime/src/frames.ts from the AsyncAPI document, which the server prints:
 *
 *   cargo run -- asyncapi > client/realtime/asyncapi.json
 *   npm run generate              # or, with --check, says whether the file is current
 *
 * It knows as much of JSON Schema as the document uses; anything else is an error, not an `unknown`.
 */
import { readFile, writeFile } from "node:fs/promises";

const from = new URL("../realtime/asyncapi.json", import.meta.url);
const to = new URL("../realtime/src/frames.ts", import.meta.url);

const document = JSON.parse(await readFile(from, "utf8"));
const made = fileOf(document);
if (process.argv.includes("--check")) {
  if (made !== (await readFile(to, "utf8").catch(() => ""))) {
    process.stderr.write("realtime/src/frames.ts is not made from asyncapi.json: npm run generate\n");
    process.exitCode = 1;
  }
} else await writeFile(to, made);

function fileOf({ channels, operations, components, "x-close-codes": closeCodes, "x-limits": limits }) {
  const { headers } = channels.socket.bindings.ws;
  const parts = [
    "/** Made from asyncapi.json by scripts/generate-frames.mjs: `npm run generate`. Not to be edited. */",
    `export const SUBPROTOCOL = ${JSON.stringify(headers.properties["Sec-WebSocket-Protocol"].const)};`,
    `export const PATH = ${JSON.stringify(document.servers.this.pathname + channels.socket.address)};`,
    `export const LIMITS = ${literal(limits)} as const;`,
    `export const CLOSE_CODES = [\n${closeCodes.map((code) => `  ${literal(withoutMeaning(code))},\n`).join("")}] as const;`,
    "/** Any JSON. */\nexport type Value =\n  | null\n  | boolean\n  | number\n  | string\n  | readonly Value[]\n  | { readonly [key: string]: Value };",
    "/** By column key; `null` empties a cell. */\nexport type Values = Readonly<Record<string, Value>>;",
    union("ClientFrame", operations.fromClient, components),
    union("ServerFrame", operations.fromServer, components),
    ...Object.entries(components.schemas).map(([name, schema]) => declaration(name, schema)),
  ];
  return `${parts.join("\n\n")}\n`;
}

function withoutMeaning({ code, name, reconnect }) {
  return { code, name, reconnect };
}

function literal(object) {
  const fields = Object.entries(object).map(([key, value]) => `${key}: ${JSON.stringify(value)}`);
  return `{ ${fields.join(", ")} }`;
}

function union(name, operation, { messages }) {
  const types = operation.messages.map(({ $ref }) => last(messages[last($ref)].payload.$ref));
  return `export type ${name} =\n${types.map((type) => `  | ${type}`).join("\n")};`;
}

function declaration(name, schema) {
  const doc = comment(schema.description, "");
  if (!schema.properties) return `${doc}export type ${name} = ${typeOf(schema)};`;
  const required = new Set(schema.required);
  const fields = Object.entries(schema.properties).map(([key, property]) => {
    const optional = required.has(key) ? "" : "?";
    return `${comment(property.description, "  ")}  ${key}${optional}: ${typeOf(property)};`;
  });
  return `${doc}export interface ${name} {\n${fields.join("\n")}\n}`;
}

function comment(text, indent) {
  return text ? `${indent}/** ${text.replaceAll("\n", " ")} */\n` : "";
}

function typeOf(schema) {
  if (schema.$ref) return last(schema.$ref);
  if (schema.oneOf) return schema.oneOf.map(typeOf).join(" | ");
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (Array.isArray(schema.type)) return schema.type.map((type) => typeOf({ ...schema, type })).join(" | ");
  switch (schema.type) {
    case "null":
    case "boolean":
    case "string":
      return schema.type;
    case "integer":
    case "number":
      return "number";
    case "array": {
      const items = typeOf(schema.items);
      return items.includes(" ") ? `(${items})[]` : `${items}[]`;
    }
    case "object":
      if (!schema.properties) return "Values";
  }
  const anything = Object.keys(schema).every((key) => key === "description");
  if (anything) return "Value";
  throw new Error(`a schema that this script can't say in TypeScript: ${JSON.stringify(schema)}`);
}

function last(reference) {
  return reference.split(/[/]/).at(-1);
}
