// A certificate for made-up servers, made at the start of a test and trusted by its browser only.

import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";

/** What a server needs, and what a browser is told to trust (`--ignore-certificate-errors-spki-list`). */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
  readonly spki: string;
}

/** A self-signed certificate for these host names. */
export function certificate(hosts: readonly string[]): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = publicKey.export({ type: "spki", format: "der" });
  const algorithm = sequence(oid("2a8648ce3d040302")); // ecdsa-with-SHA256
  const name = sequence(tagged(0x31, sequence(oid("550403"), tagged(0x0c, Buffer.from("made for a test")))));
  const day = 86_400_000;
  const validity = sequence(time(Date.now() - day), time(Date.now() + day));
  const names = sequence(...hosts.map((host) => tagged(0x82, Buffer.from(host))));
  const extension = sequence(oid("551d11"), tagged(0x04, names)); // subjectAltName
  const serial = tagged(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)]));
  const version = tagged(0xa0, tagged(0x02, Buffer.from([2])));
  const body = sequence(version, serial, algorithm, name, validity, name, spki, tagged(0xa3, sequence(extension)));
  const signature = tagged(0x03, Buffer.concat([Buffer.from([0]), sign("sha256", body, privateKey)]));
  const lines = sequence(body, algorithm, signature).toString("base64").match(/.{1,64}/g) ?? [];
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`,
    spki: createHash("sha256").update(spki).digest("base64"),
  };
}

function tagged(tag: number, body: Buffer): Buffer {
  const { length } = body;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), body]);
}

const sequence = (...parts: Buffer[]): Buffer => tagged(0x30, Buffer.concat(parts));
const oid = (hex: string): Buffer => tagged(0x06, Buffer.from(hex, "hex"));
const time = (at: number): Buffer => tagged(0x17, Buffer.from(`${new Date(at).toISOString().replace(/[-:T]/g, "").slice(2, 14)}Z`));
