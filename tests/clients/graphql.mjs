// graphql-request, Apollo Client and GraphQL Code Generator each with one query; graphql-js validates the queries.
// Standard input: {"url", "token", "queries": [{"query", "variables"}]}; prints what each found as one JSON object.
import { readFileSync } from "node:fs";
import { buildClientSchema, getIntrospectionQuery, parse, printSchema, validate } from "graphql";
import { GraphQLClient } from "graphql-request";
import { ApolloClient, HttpLink, InMemoryCache, gql } from "@apollo/client/core/index.js";
import { codegen } from "@graphql-codegen/core";
import * as typescript from "@graphql-codegen/typescript";
import * as operations from "@graphql-codegen/typescript-operations";

const { url, token, queries } = JSON.parse(readFileSync(0, "utf8"));
const headers = { authorization: `Bearer ${token}` };
const client = new GraphQLClient(url, { headers });
const schema = buildClientSchema(await client.request(getIntrospectionQuery()));
const invalid = queries.flatMap(({ query }) => validate(schema, parse(query)).map((error) => error.message));

const { query, variables } = queries[0];
const apollo = new ApolloClient({ link: new HttpLink({ uri: url, headers }), cache: new InMemoryCache() });
const code = await codegen({
  filename: "types.ts",
  schema: parse(printSchema(schema)),
  documents: queries.map(({ query }, n) => ({ location: `${n}.graphql`, document: parse(query) })),
  config: {},
  pluginMap: { typescript, operations },
  plugins: [{ typescript: {} }, { operations: {} }],
});
const wrong = await client.request("{ viewer { nothing } }").catch((error) => error);
const apolloWrong = await apollo.query({ query: gql("{ viewer { nothing } }") }).catch((error) => error);
console.log(JSON.stringify({
  invalid,
  request: await client.request(query, variables),
  apollo: (await apollo.query({ query: gql(query), variables })).data,
  code: code.match(/export type (\w+Query) /g),
  wrong: wrong.response.errors[0].message,
  apolloWrong: apolloWrong.message,
}));
