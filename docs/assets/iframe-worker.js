// Browsers start no worker for a page opened from a folder (file:). This class runs the worker's scripts in a hidden frame, so that search works there.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      this.onmessage = null
      this.onerror = null
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      document.body.appendChild(this.frame)
      const page = this.frame.contentDocument
      const inside = this.frame.contentWindow
      // The frame has the address of the worker, to which its scripts are relative.
      inside.importScripts = (...names) =>
        names.reduce((before, name) => before.then(() => load(page, new URL(name, url).href)), Promise.resolve())
      // What the worker posts goes to its owner, and not to the frame itself.
      inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      this.addEventListener("message", event => this.onmessage && this.onmessage(event))
      this.ready = load(page, url)
    }

    postMessage(data) {
      this.ready.then(() => this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data })))
    }

    terminate() {
      this.frame.remove()
    }
  }

  const load = (page, address) =>
    new Promise((done, failed) => {
      const script = page.createElement("script")
      script.src = address
      script.onload = done
      script.onerror = () => failed(new Error(`cannot load ${address}`))
      page.body.appendChild(script)
    })
}
