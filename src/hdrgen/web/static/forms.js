// The three forms: words, one picture, brackets.

const $ = (id) => document.getElementById(id);
/** Names of the forms; a picture's jobs are of two kinds. */
const FORMS = ["generate", "picture", "merge"];
const DROPPED = /\.(png|jpe?g|tiff?|webp)$/i;

export class FormPanel {
  /**
   * @param server the module of what the page says to its server
   * @param {(job: object) => void} onJob told of a job that was taken
   */
  constructor(server, onJob) {
    this.server = server;
    this.onJob = onJob;
    this.config = null;
    this.forms = Object.fromEntries(FORMS.map((kind) => [kind, $(`form-${kind}`)]));
    for (const kind of FORMS) {
      $(`tab-${kind}`).addEventListener("click", () => this.choose(kind));
      $(`tab-${kind}`).addEventListener("keydown", (event) => this.#tabKey(event, kind));
      this.forms[kind].addEventListener("submit", (event) => this.#submit(event, kind));
      const files = this.forms[kind].elements.files;
      files?.addEventListener("change", () => this.#showFiles(kind));
    }
    const { generate, picture } = this.forms;
    generate.elements.route.addEventListener("change", () => this.#showRoute());
    generate.elements.prompt.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) generate.requestSubmit();
    });
    $("dice").addEventListener("click", () => {
      generate.elements.seed.value = crypto.getRandomValues(new Uint32Array(1))[0] >>> 1;
    });
    picture.elements.encoding.addEventListener("change", () => this.#showKind());
    for (const range of picture.querySelectorAll("input[type=range]")) {
      range.addEventListener("input", () => {
        range.parentElement.querySelector("output").textContent = range.value;
      });
    }
    this.#showKind(); // a browser may have kept what was chosen before
    this.#listenToDrops();
    this.readConfig();
  }

  async readConfig() {
    try {
      this.config = await this.server.config();
      this.#showRoute();
    } catch {
      // The page says already that the server does not answer, and asks again when it does.
    }
  }

  choose(kind) {
    for (const one of FORMS) {
      const chosen = one === kind;
      $(`tab-${one}`).setAttribute("aria-selected", chosen);
      $(`tab-${one}`).tabIndex = chosen ? 0 : -1;
      this.forms[one].hidden = !chosen;
    }
  }

  /** Fill in what a generated picture was made with. */
  take(job) {
    this.choose("generate");
    const { elements } = this.forms.generate;
    for (const name of ["prompt", "route", "width", "height", "seed", "steps", "guidance", "negative"]) {
      elements[name].value = job[name] ?? "";
    }
    this.#showRoute();
    elements.prompt.focus();
  }

  #tabKey(event, kind) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    const next = FORMS[(FORMS.indexOf(kind) + by + FORMS.length) % FORMS.length];
    this.choose(next);
    $(`tab-${next}`).focus();
  }

  #showRoute() {
    const { elements } = this.forms.generate;
    const about = this.config?.routes[elements.route.value];
    if (!about) return;
    $("route-missing").textContent = about.missing ?? "";
    $("route-missing").hidden = !about.missing;
    this.forms.generate.querySelector("button.primary").disabled = Boolean(about.missing);
    for (const side of ["width", "height"]) {
      elements[side].placeholder = about.size ?? "";
      elements[side].step = about.multiple ?? 1;
      elements[side].min = about.multiple ?? 8;
    }
    elements.steps.placeholder = about.steps ?? "";
    elements.guidance.placeholder = about.guidance ?? "";
  }

  /** What a picture is made by: plates hold their light, and are expanded. */
  get #pictureKind() {
    return this.forms.picture.elements.encoding.value.startsWith("logc") ? "expand" : "recover";
  }

  #showKind() {
    const kind = this.#pictureKind;
    for (const fields of this.forms.picture.querySelectorAll("fieldset")) {
      fields.hidden = fields.disabled = fields.dataset.kind !== kind; // what is disabled is not sent
    }
    this.forms.picture.querySelector("button.primary").textContent = kind === "expand" ? "Expand" : "Recover";
  }

  #showFiles(kind) {
    const files = [...this.forms[kind].elements.files.files];
    const host = this.forms[kind].querySelector(".chosen");
    host.textContent = files.length ? files.map((file) => file.name).join(", ") : "Choose again";
    host.classList.toggle("some", files.length > 0);
    this.#error(kind, "");
  }

  #listenToDrops() {
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      document.body.classList.add("dragging");
    });
    const over = () => document.body.classList.remove("dragging");
    document.addEventListener("dragleave", (event) => event.relatedTarget ?? over());
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      over();
      const files = event.dataTransfer.files;
      if (!files.length) return;
      const kind = files.length > 1 ? "merge" : "picture";
      this.choose(kind);
      this.forms[kind].elements.files.files = files;
      this.#showFiles(kind);
      if (![...files].every((file) => DROPPED.test(file.name))) this.#error(kind, "These should be PNG, TIFF, JPEG or WebP pictures");
      this.forms[kind].querySelector("button.primary").focus();
    });
  }

  #error(kind, text) {
    const host = this.forms[kind].querySelector(".error");
    host.textContent = text;
    host.hidden = !text;
  }

  #asked(kind) {
    const form = this.forms[kind];
    const asked = new FormData(form);
    asked.set("kind", kind === "picture" ? this.#pictureKind : kind);
    if (kind === "merge") asked.set("align", form.elements.align.checked);
    const { width, height } = form.elements;
    if (kind === "generate" && (width.value || height.value)) {
      const size = this.config?.routes[form.elements.route.value]?.size;
      asked.set("width", width.value || size);
      asked.set("height", height.value || size);
    }
    const bytes = [...(form.elements.files?.files ?? [])].reduce((sum, file) => sum + file.size, 0);
    if (this.config && bytes > this.config.body_bytes) {
      throw new Error(`More than ${Math.round(this.config.body_bytes / 2 ** 20)} MiB at once`);
    }
    return asked;
  }

  async #submit(event, kind) {
    event.preventDefault();
    const button = this.forms[kind].querySelector("button.primary");
    this.#error(kind, "");
    button.disabled = true;
    try {
      this.onJob(await this.server.submit(this.#asked(kind)));
    } catch (error) {
      this.#error(kind, error.status ? error.message : error.message || "The server does not answer");
    } finally {
      button.disabled = false;
    }
  }
}
