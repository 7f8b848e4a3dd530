// What a bundler is given.

import { NameLens } from "namelens";
import { tell } from "./story.js";

tell(NameLens);
