// A bundled page that leaves everything to a worker of its own.

const worker = new Worker(new URL("./inner-worker.js", import.meta.url), { type: "module" });
worker.onmessage = ({ data }) => (document.body.dataset.outcome = JSON.stringify(data));
worker.onerror = (event) => (document.body.dataset.outcome = JSON.stringify({ message: `worker: ${event.message}` }));
worker.postMessage(new URL("photos/", document.baseURI).href);
