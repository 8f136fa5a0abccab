// Lint an OpenAPI document by Redocly's recommended rules and Spectral's, and generate TypeScript of it.
// node tests/clients/openapi_check.mjs FILE
import { readFileSync } from "node:fs";
import { createConfig, lint } from "@redocly/openapi-core";
import spectralCore from "@stoplight/spectral-core";
import spectralRulesets from "@stoplight/spectral-rulesets";
import openapiTS, { astToString } from "openapi-typescript";

const file = process.argv[2];
const text = readFileSync(file, "utf8");
const redocly = await lint({ ref: file, config: await createConfig({ extends: ["recommended"] }) });
const spectral = new spectralCore.Spectral();
spectral.setRuleset({ extends: [[spectralRulesets.oas, "recommended"]] });
const found = await spectral.run(text);
const types = astToString(await openapiTS(JSON.parse(text)));
console.log(JSON.stringify({
  redocly: redocly.map((one) => `${one.ruleId}: ${one.message} at ${one.location[0]?.pointer}`),
  spectral: found.map((one) => `${one.code}: ${one.message} at ${one.path.join("/")}`),
  operations: [...types.slice(types.indexOf("export interface operations")).matchAll(/^ {4}(\w+): \{$/gm)].map((one) => one[1]),
}));
