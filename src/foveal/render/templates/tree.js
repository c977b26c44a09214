// A tree to click through: a row of cards a stage; a pressed card opens the row of what supports it.
// Keys: left and right within a row, down opens and enters the next, up returns.
for (const home of document.querySelectorAll(".tree")) {
  const tree = JSON.parse(home.querySelector("script").textContent);
  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const percent = (x) => (100 * x).toFixed(Math.abs(x) < 0.0995 ? 1 : 0).replace("-", "−") + "\u00a0%";
  const change = (effect) => (effect > 0 ? "−" : effect < 0 ? "+" : "±") + percent(Math.abs(effect));  // of what is supported
  const short = (x) => Number(x.toPrecision(3)).toString().replace("-", "−");

  const side = make("div", "side");
  const scene = make("div", "scene");
  const photo = make("img");
  photo.src = tree.photo;
  photo.alt = "the image";
  const boxes = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  boxes.setAttribute("viewBox", "0 0 " + tree.size.join(" "));
  boxes.setAttribute("aria-hidden", "true");
  scene.append(photo, boxes);
  const told = make("div", "told");
  told.setAttribute("aria-live", "polite");
  side.append(scene, told);
  const rows = make("div", "rows");
  home.append(side, rows);

  const outline = (box, kind) => {
    if (!box) return;
    const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const [x0, y0, x1, y1] = box;
    for (const [name, value] of Object.entries({ x: x0, y: y0, width: x1 - x0, height: y1 - y0, class: kind })) rect.setAttribute(name, value);
    boxes.append(rect);
  };
  const shelve = (words, uris, alt) => {
    const shelf = make("div", "shelf");
    for (const uri of uris) {
      const one = make("img");
      one.src = uri;
      one.alt = alt;
      shelf.append(one);
    }
    told.append(make("span", "", words), shelf);
  };
  const tell = (path) => {
    const { feature, edge } = path.at(-1);
    boxes.replaceChildren();
    outline(feature.box, "thin");
    outline(feature.effective, "bold");
    told.replaceChildren(make("strong", "", edge ? feature.name : tree.target));
    const list = make("dl");
    const say = (what, value) => list.append(make("dt", "", what), make("dd", "", value));
    say(edge ? "value" : "score", short(feature.value));
    if (feature.balance) {
      const [pro, contra, offset] = feature.balance;
      say("for", short(pro));
      say("against", short(contra));
      if (!tree.reference) say("biases", short(offset) + (feature.bias === null ? "" : " (" + percent(feature.bias) + " of it)"));
      else if (!edge) say("reference", short(offset));
    }
    if (edge) {
      say(edge.opponent ? "share of what is against" : "share of its parent", percent(edge.share));
      say("share of the decision", percent(path.reduce((all, step) => all * (step.edge ? step.edge.share : 1), 1)));
      if (edge.effect !== null) say("without it", change(edge.effect));
      if (edge.average !== null) say("on average", change(edge.average));
    }
    told.append(list);
    if (!edge && tree.reference) told.append(make("p", "", "100 % is the score less that of the reference (" + tree.reference + "): what the parts add up to."));
    if (!edge && tree.parts) told.append(make("p", "", "Inside an orange line lies half of a part's evidence, or more; blue is against what it is a part of. Press a part to see what it is made of."));
    for (const [order, uris] of Object.entries(feature.examples ?? {})) {
      shelve(order === "contribution" ? "Photos where it contributes most to this decision:" : "Photos where it is most active:", uris, "another photo with this part");
    }
    if (feature.image) shelve("Image made for its channels:", [feature.image], "image made for " + feature.name);
    const elsewhere = edge && tree.shelves[feature.stage + "/" + feature.channels[0]];
    if (elsewhere?.length) shelve("Other images where this channel is strongest:", elsewhere, "another image where this channel is strongest");
  };
  const card = (edge, path) => {
    const feature = tree.features[edge.to];
    const here = [...path, { feature, edge }];
    const button = make("button", "card" + (edge.against ? " against" : "") + (edge.doubt ? " doubt" : ""));
    button.type = "button";
    const map = make("img");
    map.src = edge.picture;
    map.alt = "";
    button.append(map);
    if (feature.pattern) {
      const pattern = make("img");
      pattern.src = feature.pattern;
      pattern.alt = "";
      button.append(pattern);
    }
    const bar = make("i", "bar");
    bar.style.width = Math.min(100, Math.max(2, 100 * Math.abs(edge.share))) + "%";
    const label = make("span");
    const above = !tree.parts ? "" : path.length > 1 ? " of " + path.at(-1).feature.label : " of the decision";
    const share = (edge.against ? "against: " : "") + percent(Math.abs(edge.share)) + above;
    label.append(make("b", "", feature.label), make("br"), share);
    button.append(bar, label);
    if (tree.parts && feature.bias !== null) label.append(make("br"), "biases\u00a0" + percent(feature.bias));
    if (edge.effect !== null) button.append(make("span", "effect", "without\u00a0it " + change(edge.effect)));
    button.setAttribute("aria-label", feature.name + ", " + share);
    button.setAttribute("aria-expanded", "false");
    button.addEventListener("focus", () => tell(here));
    button.addEventListener("mouseenter", () => tell(here));
    button.addEventListener("click", () => {
      for (const other of button.parentElement.children) other.setAttribute("aria-expanded", other === button);
      open(here);
      tell(here);
    });
    return button;
  };
  const open = (path) => {
    while (rows.children.length >= path.length) rows.lastElementChild.remove();
    const { feature } = path.at(-1);
    if (!feature.edges.length) return;
    const row = make("div", "row");
    const cards = make("div", "cards");
    const owned = tree.parts ? ": the parts that " + feature.label + " is made of" : ": features that support " + feature.label;
    const owner = path.length > 1 ? owned : "";
    row.append(make("h4", "", tree.stages[feature.stage - 1] + owner), cards);
    cards.append(...feature.edges.map((edge) => card(edge, path)));
    rows.append(row);
  };
  rows.addEventListener("keydown", (event) => {
    const button = event.target.closest(".card");
    if (!button) return;
    const row = button.closest(".row");
    const go = {
      ArrowRight: () => button.nextElementSibling,
      ArrowLeft: () => button.previousElementSibling,
      ArrowDown: () => {
        if (button.getAttribute("aria-expanded") !== "true") button.click();
        return row.nextElementSibling?.querySelector(".card");
      },
      ArrowUp: () => row.previousElementSibling?.querySelector('.card[aria-expanded="true"]'),
    }[event.key];
    if (!go) return;
    event.preventDefault();
    go()?.focus();
  });
  const root = [{ feature: tree.features[0], edge: null }];
  open(root);
  tell(root);
  rows.querySelector(".card")?.click();
  tell(root);
  if (tree.left_out > 0) rows.append(make("p", "told", tree.left_out + " features with the smallest shares are not on this page."));
}
