/** Start the interface. */
import { render } from "preact";
import { App } from "./app";
import { applyTheme } from "./design/theme";
import { startLoop } from "./loop/live";
import { listenForKeys } from "./nav/keys";
import { interceptLinks } from "./nav/router";
import "./design/tokens.css";
import "./design/base.css";
import "./design/components.css";
import "./design/text.css";
import "./design/shell.css";
import "./charts/charts.css";
import "./pages/pages.css";

applyTheme();
interceptLinks();
listenForKeys();
void startLoop();
render(<App />, document.getElementById("app")!);
