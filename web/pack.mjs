// Packs dist/ for the server: what compresses is kept as .br and .gz only, the rest as it is.
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const from = "dist";
const to = "../internal/console/dist";
const compressible = /\.(html|js|css|svg|json|txt)$/;

for (const name of readdirSync(to)) if (name !== ".gitignore") rmSync(join(to, name), { recursive: true });

for (const entry of readdirSync(from, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const source = join(entry.parentPath, entry.name);
  const target = join(to, source.slice(from.length + 1));
  mkdirSync(dirname(target), { recursive: true });
  const data = readFileSync(source);
  if (!compressible.test(entry.name)) {
    writeFileSync(target, data);
    continue;
  }
  writeFileSync(`${target}.gz`, gzipSync(data, { level: 9 }));
  writeFileSync(
    `${target}.br`,
    brotliCompressSync(data, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: data.length } }),
  );
}
