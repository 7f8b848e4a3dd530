// The small print at the bottom: which model, on which device, how fast, how much memory, ready offline or not.

import type { NameLens, RunResult } from "namelens";
import { byId, h } from "./dom.js";
import { readyOffline } from "./offline.js";
import type { DeviceWish, Session } from "./session.js";
import { megabytes, millions } from "./words.js";

const KEY = "namelens-device";
const DEVICES: Record<DeviceWish, string> = {
  auto: "Automatic",
  webgpu: "Graphics card (WebGPU)",
  cpu: "Processor (CPU)",
};

const isDevice = (value: string | null): value is DeviceWish => value !== null && Object.hasOwn(DEVICES, value);

/** The device to begin with: from the address (`?device=cpu`), else the one chosen last, else automatic. */
export function wishedDevice(): DeviceWish {
  const asked = new URLSearchParams(location.search).get("device");
  if (isDevice(asked)) return asked;
  try {
    const kept = localStorage.getItem(KEY);
    return isDevice(kept) ? kept : "auto";
  } catch {
    return "auto";
  }
}

/** The status line. */
export class Status {
  readonly #model = h("span", { id: "status-model" }, "Model: loading");
  readonly #device = h("span", { id: "status-device" });
  readonly #speed = h("span", { id: "status-speed" });
  readonly #memory = h("span", { id: "status-memory" });
  readonly #offline = h("span", { id: "status-offline" });

  constructor(session: Session) {
    const choice = h(
      "select",
      { id: "device" },
      ...Object.entries(DEVICES).map(([value, label]) => h("option", { value, selected: value === wishedDevice() }, label)),
    );
    choice.addEventListener("change", () => {
      const wish = choice.value;
      if (!isDevice(wish)) return;
      try {
        localStorage.setItem(KEY, wish);
      } catch {
        // The choice then lasts as long as the page.
      }
      void session.start(wish);
    });
    byId("status").replaceChildren(
      this.#model,
      this.#device,
      this.#speed,
      this.#memory,
      this.#offline,
      h("label", { for: "device", class: "device" }, "Runs on ", choice),
    );
    session.listen({
      loading: () => delete document.documentElement.dataset.device,
      ready: (lens) => void this.#loaded(lens),
      failed: () => (this.#model.textContent = "Model: not loaded"),
    });
  }

  /** Takes over the figures of a run. */
  finished(result: RunResult, lens: NameLens): void {
    const { tokensPerSecond, totalMs } = result.timings;
    const seconds = (totalMs / 1000).toFixed(2);
    this.#speed.textContent = result.source === "recognition" ? `${seconds} s a photo` : `${tokensPerSecond.toFixed(0)} tokens/s, ${seconds} s in all`;
    void this.#showMemory(lens);
  }

  async #loaded(lens: NameLens): Promise<void> {
    const { model, device, fallback, threads } = lens.info;
    const what = model.captions ? `${millions(model.parameters)} parameters, ` : "";
    this.#model.textContent = `${model.name}: ${what}${megabytes(model.bytes)}`;
    this.#model.title = model.knows;
    this.#device.textContent = device === "webgpu" ? `WebGPU (${model.device})` : `CPU, ${threads === 1 ? "one thread" : `${threads} threads`}`;
    this.#speed.textContent = "";
    this.#device.title = fallback ? `Not WebGPU: ${fallback}` : model.device;
    document.documentElement.dataset.device = device;
    await this.#showMemory(lens);
    // Only once the model is kept does "offline" hold for the whole page.
    this.#offline.textContent = (await readyOffline(threads > 1 ? "cpu-threads" : device)) ? "Works offline" : "";
  }

  async #showMemory(lens: NameLens): Promise<void> {
    try {
      this.#memory.textContent = `${megabytes(await lens.memory())} of memory`;
    } catch {
      this.#memory.textContent = ""; // disposed of meanwhile
    }
  }
}
