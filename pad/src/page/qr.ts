// A QR code as an SVG: black on white in every colour scheme, since cameras read nothing else reliably.

import { encode } from "uqr";

const SVG = "http://www.w3.org/2000/svg";

/** Draws `content`; `label` is for screen readers. */
export function qrCode(content: string, label: string): SVGSVGElement {
  const { data, size } = encode(content, { ecc: "M", border: 2 });
  const dark = data.flatMap((row, y) => row.map((isDark, x) => (isDark ? `M${x} ${y}h1v1h-1z` : "")));
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${size} ${size}`);
  svg.setAttribute("class", "qr");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  svg.setAttribute("shape-rendering", "crispEdges");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", dark.join(""));
  svg.append(path);
  return svg;
}
