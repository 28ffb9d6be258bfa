// The reference pages: Swagger UI over the service's own OpenAPI document.

import { apiKey } from "./fetching.js";

const root = document.documentElement;

function applyTheme() {
  root.classList.toggle("dark-mode", root.dataset.theme === "dark");
}

document.addEventListener("theme", applyTheme);
applyTheme();

const reference = window.SwaggerUIBundle({
  url: "openapi.json",
  domNode: document.getElementById("reference"),
  deepLinking: true,
  displayRequestDuration: true,
  // Its badge would send the document to a service elsewhere.
  validatorUrl: null,
  // Models are shown where they are used; as a list they would double the page.
  defaultModelsExpandDepth: -1,
  onComplete() {
    const key = apiKey();
    if (key !== null) reference.preauthorizeApiKey("bearer", key);
  },
});
