// The development server's copies of packages lie where nobody would look for them.

export default { cacheDir: ".copies" };
