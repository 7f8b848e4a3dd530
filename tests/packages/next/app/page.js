// A page that the server renders; it imports the package, which must do nothing there.

import { NameLens } from "namelens";
import Story from "./story-client.js";

export default function Page() {
  return <main data-server={typeof NameLens.create}><Story /></main>;
}
