// How the page is built: plain files under dist/, addresses relative so that it can live in any folder.

import { defineConfig } from "vite";
import { notices } from "./notices-plugin.js";
import { looseCspWhileDeveloping, offline } from "./offline-plugin.js";
import { pages } from "./pages-plugin.js";

export default defineConfig({
  base: "./",
  plugins: [notices(), offline(), pages(), looseCspWhileDeveloping()],
  worker: { format: "es", plugins: () => [pages()] },
  build: {
    target: "es2022",
    // Inlined assets become data: addresses, which `connect-src 'self'` rightly refuses to fetch.
    assetsInlineLimit: 0,
    // The wasm is what it is; the budget for it is kept by `cargo xtask wasm`.
    chunkSizeWarningLimit: 1000,
    rolldownOptions: {
      input: { index: "index.html", download: "download.html", sw: "src/sw.ts" },
      output: {
        // A service worker governs the folder it lies in, so it must keep its name and stay at the top.
        entryFileNames: (chunk) => (chunk.name === "sw" ? "sw.js" : "assets/[name]-[hash].js"),
      },
    },
  },
});
