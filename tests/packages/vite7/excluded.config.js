// The same, and the package is left as it is: what the error of the other advises.

export default { cacheDir: ".copies", optimizeDeps: { exclude: ["namelens"] } };
