// Nothing but where the project begins: a build directory inside another checkout would be guessed wrong.

export default { turbopack: { root: import.meta.dirname } };
