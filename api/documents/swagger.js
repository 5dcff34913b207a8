window.ui = SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: "openapi.json",
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  showCommonExtensions: true,
  tryItOutEnabled: true,
  validatorUrl: null, // its default is a service on the internet
});
