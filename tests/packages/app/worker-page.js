// A page that leaves everything to a worker of its own: one from a file or from a blob (`?blob,forms`).

const script = new URL("./worker.js", import.meta.url);
const blob = () => URL.createObjectURL(new Blob([`import ${JSON.stringify(script.href)};`], { type: "text/javascript" }));
const [kind, what] = location.search.slice(1).split(",");
const worker = new Worker(kind === "blob" ? blob() : script, { type: "module" });
worker.onmessage = ({ data }) => (document.body.dataset.outcome = JSON.stringify(data));
worker.onerror = (event) => (document.body.dataset.outcome = JSON.stringify({ message: `worker: ${event.message}` }));
worker.postMessage(what);
