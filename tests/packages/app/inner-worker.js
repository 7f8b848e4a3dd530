// The bundled app's own worker: creates NameLens inside itself, in a worker of the worker and right here.

import { NameLens } from "namelens";
import { failure, story } from "./story.js";

onmessage = async ({ data: photos }) => {
  const told = (options) => story(NameLens, options, photos).catch(failure);
  postMessage([await told({}), await told({ worker: false })]);
};
