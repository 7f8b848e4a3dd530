// The part of the page that runs in the browser: it tells the story once it is there.
"use client";

import { useEffect } from "react";
import { NameLens } from "namelens";
import { tell } from "../story.js";

export default function Story() {
  useEffect(() => {
    tell(NameLens);
  }, []);
  return null;
}
