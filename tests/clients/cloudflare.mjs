// The npm package `cloudflare` against a running server; prints what it found as one JSON object.
// node tests/clients/cloudflare.mjs URL TOKEN ACCOUNT ZONE
import Cloudflare from "cloudflare";

const [url, apiToken, account_id, zone_id] = process.argv.slice(2);
const client = new Cloudflare({ apiToken, baseURL: `${url}/client/v4`, maxRetries: 0 });

async function all(pages) {
  const found = [];
  for await (const item of pages) found.push(item);
  return found;
}

const rules = client.emailRouting.rules;
const failed = await client.zones.get({ zone_id: "0".repeat(32) }).catch((error) => error);
console.log(JSON.stringify({
  verify: (await client.user.tokens.verify()).status,
  accounts: (await all(client.accounts.list())).map((one) => one.name),
  account: (await client.accounts.get({ account_id })).name,
  zones: (await all(client.zones.list())).map((one) => one.name),
  zone: (await client.zones.get({ zone_id })).name,
  rules: (await all(rules.list({ zone_id, per_page: 5 }))).map((one) => one.matchers[0].value),
  enabled: (await all(rules.list({ zone_id, enabled: true }))).length,
  addresses: (await all(client.emailRouting.addresses.list({ account_id }))).map((one) => one.email),
  verified: (await all(client.emailRouting.addresses.list({ account_id, verified: true }))).map((one) => one.email),
  settings: (await client.emailRouting.get({ zone_id })).enabled,
  failed: [failed.status, failed.errors],
}));
