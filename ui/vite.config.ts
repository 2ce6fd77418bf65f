import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";
import manifest from "./package.json" with { type: "json" };

/** Ship the licence of every library whose code or font ends up in the page. */
function licences(): Plugin {
  return {
    name: "licences",
    apply: "build",
    generateBundle() {
      const texts = Object.keys(manifest.dependencies).map((name) => {
        const path = ["LICENSE", "LICENSE.md"].map((file) => `node_modules/${name}/${file}`).find(existsSync);
        if (path === undefined) this.error(`${name} carries no licence file`);
        return `${name}\n\n${readFileSync(path, "utf8").trim()}\n`;
      });
      this.emitFile({ type: "asset", fileName: "licences.txt", source: texts.join(`\n${"-".repeat(80)}\n\n`) });
    },
  };
}

/** Put a packed copy beside every text file; the server sends it to browsers that take one. */
function packed(): Plugin {
  return {
    name: "packed",
    apply: "build",
    writeBundle({ dir }, bundle) {
      for (const name of [...Object.keys(bundle), "favicon.svg"].filter((one) => /\.(css|html|js|svg|txt)$/.test(one))) {
        const path = join(dir!, name);
        writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  plugins: [licences(), packed()],
  build: {
    outDir: "../src/interlock/server/ui/dist",
    emptyOutDir: true,
    target: "es2023",
    cssTarget: ["chrome123", "firefox121", "safari17.5"],
    modulePreload: { polyfill: false },
  },
  server: {
    // `python -m tests.journeys.lived_in` serves something to look at there
    proxy: { "/api": { target: "http://127.0.0.1:8899", changeOrigin: true, headers: { origin: "http://127.0.0.1:8899" } } },
  },
});
