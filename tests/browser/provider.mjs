// An OpenID provider for the tests: npm oidc-provider, with its own sign-in page, over HTTPS at https://localhost:PORT.
// Another name than the server's 127.0.0.1, so that to a browser the two are different sites, as in real life.
// Anyone can sign in under any name; `many` is in 300 groups, whose names are as large providers give them.
import { createHash, generateKeyPairSync, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";

const { OIDC_PROVIDER, OIDC_PORT, OIDC_CERT, OIDC_KEY, OIDC_CLIENT, OIDC_SECRET_FILE, OIDC_REDIRECT } = process.env;
const { Provider } = await import(`${OIDC_PROVIDER}/node_modules/oidc-provider/lib/index.js`);

const group = (n) => createHash("sha256").update(`group ${n}`).digest("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/, "$1-$2-$3-$4-$5");
const groupsOf = (name) => (name === "many" ? Array.from({ length: 300 }, (_, n) => group(n)) : ["people"]);
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });

const provider = new Provider(`https://localhost:${OIDC_PORT}`, {
  clients: [
    {
      client_id: OIDC_CLIENT,
      client_secret: readFileSync(OIDC_SECRET_FILE, "utf8").trim(),
      redirect_uris: OIDC_REDIRECT.split(" "),
    },
  ],
  jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), kid: "tests", use: "sig", alg: "RS256" }] },
  cookies: { keys: [randomBytes(32).toString("hex")] },
  claims: { openid: ["sub", "groups"] },
  conformIdTokenClaims: false,
  findAccount: (_, name) => ({ accountId: name, claims: () => ({ sub: name, groups: groupsOf(name) }) }),
  ttl: { IdToken: Number(process.env.OIDC_LIFETIME ?? 3600) },
});

createServer({ cert: readFileSync(OIDC_CERT), key: readFileSync(OIDC_KEY) }, provider.callback()).listen(
  Number(OIDC_PORT),
  "localhost",
);
