// A page whose own worker holds the package: such a worker loads a part of it on demand, which only modules can.

export default { base: "./", worker: { format: "es" }, build: { outDir: "site/inner", rollupOptions: { input: "inner.html" } } };
