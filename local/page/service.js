// Calls. The token stays in this variable: it is in no address, no storage and nothing that is copied.

let token = null;
let underWay = 0;

/** Whether a call of this page is not answered yet. */
export const isCalling = () => underWay > 0;

const answerOf = async (response) => {
  const text = await response.text();
  try { return JSON.parse(text); } catch { return {}; }
};

/** Calls the service: `{ok, status, body}`; a status of 0 where no answer came. */
export const call = async (method, endpoint, fields) => {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (fields) headers["Content-Type"] = "application/json";
  underWay += 1;
  try {
    const body = fields && JSON.stringify(fields);
    const response = await fetch(`/api/v1/auth/2fa/${endpoint}/`, { method, headers, body, cache: "no-store" });
    return { ok: response.ok, status: response.status, body: await answerOf(response) };
  } catch {
    return { ok: false, status: 0, body: {} };
  } finally {
    underWay -= 1;
  }
};

/** Calls what is around the service; as [`call`], with a `message` in the body of a refusal. */
export const lab = async (method, path, fields) => {
  const headers = fields ? { "Content-Type": "application/json" } : {};
  try {
    const response = await fetch(path, { method, headers, body: fields && JSON.stringify(fields), cache: "no-store" });
    return { ok: response.ok, status: response.status, body: await answerOf(response) };
  } catch {
    return { ok: false, status: 0, body: { message: "The server does not answer. Is it still running?" } };
  }
};

/** From here on `user` calls. Says what is wrong, or nothing. */
export const actAs = async (user) => {
  const { ok, body } = await lab("POST", "/_token", { user });
  token = ok ? body.token : null;
  return ok ? null : body.message;
};

/** From here on the user of this token calls. */
export const useToken = (text) => { token = text.trim(); };
