// What the page says to its server.

export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

async function answer(path, options = {}) {
  const response = await fetch(path, options);
  if (response.ok) return response;
  if (response.status === 401) location.assign("/login");
  const said = await response.json().catch(() => ({}));
  throw new Refused(said.error || `The server answers ${response.status}`, response.status);
}

const json = async (path, options) => (await answer(path, options)).json();

export const config = () => json("/api/config");
export const state = (after, signal) => json(`/api/state${after === null ? "" : `?after=${after}`}`, { signal });
export const submit = (form) => json("/api/jobs", { method: "POST", body: form });
export const cancel = (id) => json(`/api/jobs/${id}/cancel`, { method: "POST" });
export const again = (id) => json(`/api/jobs/${id}/again`, { method: "POST" });
export const pictures = async (before) => (await json(`/api/pictures${before ? `?before=${before}` : ""}`)).pictures;
export const picture = (id) => json(`/api/pictures/${id}`);
export const remove = (id) => json(`/api/pictures/${id}`, { method: "DELETE" });

/** RGB halves of a picture, or of the one before. */
export async function halves(id, which, signal) {
  return new Uint16Array(await (await answer(`/api/pictures/${id}/${which}`, { signal })).arrayBuffer());
}

/** The display view as `Viewer.setView` takes it, with its name. */
export async function view() {
  const response = await answer("/api/view");
  return {
    side: Number(response.headers.get("X-Hdrgen-Side")),
    stops: response.headers.get("X-Hdrgen-Stops").split(" ").map(Number),
    name: response.headers.get("X-Hdrgen-View"),
    codes: new Uint16Array(await response.arrayBuffer()),
  };
}
