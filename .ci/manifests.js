
// Checks manifests against the types of Kubernetes' API: what the schemas
// require, and by TypeScript, that there is no other name.
// usage: node check.mjs file

import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { parseAllDocuments } from "yaml";

const groups = { "monitoring.coreos.com/v1":
	"@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1" };
let source = "";

for (const document of parseAllDocuments(readFileSync(process.argv[2], "utf8"))) {
	const manifest = document.toJS();
	const { apiVersion, kind } = manifest;
	const module = groups[apiVersion] ?? `kubernetes-models/${apiVersion}`;
	const n = source.split("\n").length;

	source += `import { I${kind} as T${n} } from "${module}";`
		+ ` export const m${n}: T${n} = ${JSON.stringify(manifest)};\n`;

	const types = await import(module);

	new types[kind](manifest).validate();
	console.log(`  ${kind} ${manifest.metadata.name}`);
}

writeFileSync("all.ts", source);

try {
	execFileSync("node_modules/.bin/tsc", [ "--noEmit", "--skipLibCheck", "--strict",
		"--module", "nodenext", "all.ts" ], { stdio: "pipe" });

} catch (error) {
	console.error(String(error.stdout).slice(0, 2000));
	process.exit(1);
}
