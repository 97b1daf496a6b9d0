// The files in deploy/ and compose.yaml: no engine runs them here, so linters and schemas read them.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { Failure, root } from "../scripts/lib/run.mjs";

const folder = join(root, "deploy/kubernetes");
/** Applied by itself, with what is filled in. */
const BY_ITSELF = ["secret.example.yaml"];

/** Returns what was checked, as a note. */
export async function checkDeploy(run) {
  await run("node_modules/.bin/dclint", [
    "--config",
    "deploy/dclint.json",
    "--max-warnings",
    "0",
    "compose.yaml",
  ]);
  const files = readdirSync(folder).filter((file) => file.endsWith(".yaml"));
  const faults = [];
  let count = 0;
  for (const file of files) {
    for (const document of readDocuments(file)) {
      if (document.kind === "Kustomization") {
        faults.push(...faultsOfKustomization(document, files));
      } else {
        faults.push(...(await faultsOf(document)).map((fault) => `${file}: ${fault}`));
        faults.push(...faultsOfConfig(document).map((fault) => `${file}: ${fault}`));
        count += 1;
      }
    }
  }
  if (faults.length > 0) throw new Failure(faults.join("\n"));
  // Whether the schemas see anything at all.
  const [deployment] = readDocuments("deployment.yaml");
  deployment.spec.replicas = "two";
  if ((await faultsOf(deployment)).length === 0) throw new Failure("the schemas let a broken document pass");
  return `compose.yaml, ${count} Kubernetes documents`;
}

function readDocuments(file) {
  return parseAllDocuments(readFileSync(join(folder, file), "utf8")).map((document) => {
    if (document.errors.length > 0) throw new Failure(`${file}: ${document.errors[0].message}`);
    return document.toJS();
  });
}

async function faultsOf(document) {
  const { apiVersion, kind } = document;
  let models;
  try {
    models = await import(`kubernetes-models/${apiVersion}/${kind}`);
  } catch {
    return [`there is no kind ${kind} in ${apiVersion}`];
  }
  try {
    new models[kind](document).validate();
    return [];
  } catch (error) {
    return [error.message];
  }
}

function faultsOfKustomization({ resources }, files) {
  const expected = files.filter((file) => file !== "kustomization.yaml" && !BY_ITSELF.includes(file));
  const missing = expected.filter((file) => !resources.includes(file));
  const unknown = resources.filter((file) => !expected.includes(file));
  return [
    ...missing.map((file) => `kustomization.yaml does not list ${file}`),
    ...unknown.map((file) => `kustomization.yaml lists ${file}, which is not there`),
  ];
}

/** Nodes in a cluster run what the profile says. */
function faultsOfConfig({ kind, data }) {
  if (kind !== "ConfigMap") return [];
  const profile = readFileSync(join(root, "deploy/profiles/production.toml"), "utf8");
  return data["enfilade.toml"] === profile ? [] : ["it differs from deploy/profiles/production.toml"];
}
