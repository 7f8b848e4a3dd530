// Creates NameLens on the server, where it cannot be, and answers with what it said.

import { NameLens } from "namelens";
import { failure } from "../../story.js";

export const dynamic = "force-dynamic";

export async function GET() {
  const outcome = await NameLens.create().then(() => ({ code: "created" }), failure);
  return Response.json(outcome);
}
