// A form that is posted with what a passkey answers. Without script, or in a browser that knows no passkeys, it stays hidden.

const WORDS = {
  InvalidStateError: "This device has a passkey of yours already.",
  NotAllowedError: "No passkey was chosen, or it took too long.",
};
const OTHERWISE = "That did not work: load the page again, and repeat it.";

const toOctets = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
const toText = (octets) => btoa(String.fromCharCode(...new Uint8Array(octets))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const withOctets = (list) => list?.map((each) => ({ ...each, id: toOctets(each.id) }));

class PasskeyForm extends HTMLElement {
  connectedCallback() {
    if (!window.PublicKeyCredential) return;
    this.hidden = false;
    this.form.addEventListener("submit", (event) => {
      if (this.field.value) return;
      event.preventDefault();
      this.ask();
    });
  }
  get form() { return this.querySelector("form"); }
  get field() { return this.form.elements[this.getAttribute("field")]; }
  async ask() {
    const button = this.form.querySelector("button"), said = this.querySelector("[role=alert]");
    button.disabled = true;
    said.hidden = true;
    try {
      this.field.value = JSON.stringify(await this.answer());
      this.form.requestSubmit();
    } catch (error) {
      said.textContent = WORDS[error.name] ?? OTHERWISE;
      said.hidden = false;
    }
    button.disabled = false;
  }
  async answer() {
    const options = await (await fetch(this.getAttribute("options"), { headers: { Accept: "application/json" } })).json();
    const publicKey = {
      ...options,
      challenge: toOctets(options.challenge),
      ...(options.user && { user: { ...options.user, id: toOctets(options.user.id) } }),
      ...(options.excludeCredentials && { excludeCredentials: withOctets(options.excludeCredentials) }),
      ...(options.allowCredentials && { allowCredentials: withOctets(options.allowCredentials) }),
    };
    const made = await navigator.credentials[options.user ? "create" : "get"]({ publicKey });
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (made.response[name]) response[name] = toText(made.response[name]);
    }
    return { id: made.id, rawId: toText(made.rawId), type: made.type, response };
  }
}

customElements.define("passkey-form", PasskeyForm);
