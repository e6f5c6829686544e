/** Shows components below the provider of the server that the address names, and what they throw. */
import { SharedStateProvider } from "coagent-runtime/react";
import { Component, createElement, StrictMode } from "react";
import { createRoot } from "react-dom/client";

const url = new URLSearchParams(location.search).get("server");

class Boundary extends Component {
  state = { error: null };
  static getDerivedStateFromError(error) {
    return { error };
  }
  render() {
    return this.state.error ? createElement("p", { role: "alert" }, this.state.error.message) : this.props.children;
  }
}

export function show(...elements) {
  const page = createElement(SharedStateProvider, { url }, ...elements.map((element, key) => createElement(Boundary, { key }, element)));
  createRoot(document.getElementById("root")).render(createElement(StrictMode, null, page));
}
