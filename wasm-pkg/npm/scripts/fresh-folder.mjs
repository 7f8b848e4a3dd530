// Readies the package's folder for a build: nothing left in dist/ of sources that are no more, the licences beside it.

import { copyFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(dirname(fileURLToPath(import.meta.url)));

rmSync(join(here, "dist"), { recursive: true, force: true });
for (const file of ["LICENSE-MIT", "LICENSE-APACHE", "THIRD_PARTY_NOTICES.txt"]) {
  copyFileSync(join(here, "../..", file), join(here, file));
}
