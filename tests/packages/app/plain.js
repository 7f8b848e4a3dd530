// A page without a bundler, which has the package beside itself.

import { NameLens } from "./namelens/dist/index.js";
import { tell } from "./story.js";

tell(NameLens);
