// Photos as points: pointing at one shows the photo. `element`, `props` and `watch` come from gr.HTML.
// Names and labels come from uploads, so they are only ever set as textContent.
const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 1000, MARGIN = 30;  // of the drawing, in its own units
const REACH = 30;  // farthest point that is still meant, in CSS pixels
const THUMB = 128;  // side of the photo in the card, in CSS pixels
const NO_LABEL = '#8a94a6';
const part = name => element.querySelector(`.scatter-${name}`);
let dots = [], whole = null, view = null, chosen = -1, drag = null;

function make(tag, parent, name = '', text = '') {
  const made = parent.appendChild(document.createElement(tag));
  if (name) made.className = name;
  made.textContent = text;
  return made;
}

function draw() {
  const value = props.value, plot = part('plot');
  element.querySelector('.scatter').hidden = !value;
  if (!value) return;
  const xs = value.points.map(p => p.x), ys = value.points.map(p => p.y);
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const span = Math.max(right - left, high - low) || 1;
  const scale = (WIDTH - 2 * MARGIN) / span;
  const height = Math.min(WIDTH, Math.max(0.6 * WIDTH, (high - low) * scale + 2 * MARGIN));
  const place = p => ({
    x: WIDTH / 2 + (p.x - (left + right) / 2) * scale,
    y: height / 2 - (p.y - (low + high) / 2) * scale,
  });
  whole = { x: 0, y: 0, w: WIDTH, h: height };
  const other = Object.keys(value.colors).length ? NO_LABEL : 'var(--primary-500)';
  plot.replaceChildren();
  dots = value.points.map(p => {
    const { x, y } = place(p), mark = plot.appendChild(document.createElementNS(SVG, 'path'));
    mark.setAttribute('d', `M${x.toFixed(2)} ${y.toFixed(2)}h0`);  // its round cap stays one size at any zoom
    mark.style.stroke = value.colors[p.label] ?? other;
    return { x, y, mark, name: p.name, label: p.label };
  });
  plot.setAttribute('aria-label', `${dots.length} photos as points. Arrow keys go from photo to photo.`);
  part('thumb').style.backgroundImage = `url("${value.sprite.url}")`;
  part('thumb').style.backgroundSize = `${value.columns * THUMB}px auto`;
  list(value.colors);
  choose(-1);
  look(whole);
}

function list(colors) {
  const legend = part('legend');
  legend.replaceChildren();
  for (const [label, color] of Object.entries(colors)) {
    const button = make('button', legend, '', label);
    button.type = 'button';
    button.style.setProperty('--dot', color);
    button.setAttribute('aria-pressed', 'false');
    button.onclick = () => {
      const only = button.getAttribute('aria-pressed') !== 'true';
      for (const other of legend.children) other.setAttribute('aria-pressed', String(only && other === button));
      for (const dot of dots) dot.mark.classList.toggle('faint', only && dot.label !== label);
    };
  }
}

function look(next) {
  const w = Math.min(whole.w, Math.max(whole.w / 40, next.w)), h = w * whole.h / whole.w;
  const inside = (start, length, limit) => Math.min(limit - length, Math.max(0, start));
  view = { x: inside(next.x, w, whole.w), y: inside(next.y, h, whole.h), w, h };
  const plot = part('plot');
  plot.setAttribute('viewBox', `${view.x} ${view.y} ${view.w} ${view.h}`);
  plot.classList.toggle('zoomed', w < whole.w);
  card();
}

function zoom(factor, x = view.x + view.w / 2, y = view.y + view.h / 2) {
  look({ x: x - (x - view.x) * factor, y: y - (y - view.y) * factor, w: view.w * factor });
}

function at(event) {  // the drawing's coordinates of a pointer, and CSS pixels per unit
  const box = part('plot').getBoundingClientRect(), pixels = box.width / view.w;
  return { x: view.x + (event.clientX - box.left) / pixels, y: view.y + (event.clientY - box.top) / pixels, pixels };
}

const faint = i => dots[i].mark.classList.contains('faint');

function nearest(event) {
  const { x, y, pixels } = at(event);
  let best = -1, least = (REACH / pixels) ** 2;
  dots.forEach((dot, i) => {
    const distance = (dot.x - x) ** 2 + (dot.y - y) ** 2;
    if (distance < least && !faint(i)) [best, least] = [i, distance];
  });
  return best;
}

function choose(i) {
  dots[chosen]?.mark.classList.remove('chosen');
  chosen = i;
  if (i >= 0) {
    const { name, label, mark } = dots[i], columns = props.value.columns;
    mark.classList.add('chosen');
    mark.parentNode.append(mark);  // on top of the others
    part('thumb').style.backgroundPosition = `${-(i % columns) * THUMB}px ${-Math.floor(i / columns) * THUMB}px`;
    part('label').textContent = label;
    part('name').textContent = name;
  }
  card();
}

function card() {
  const shown = part('card'), plot = part('plot'), dot = dots[chosen];
  shown.hidden = !dot;
  if (!dot) return;
  const pixels = plot.clientWidth / view.w, x = (dot.x - view.x) * pixels, y = (dot.y - view.y) * pixels;
  const right = x + 14 + shown.offsetWidth <= plot.clientWidth, below = y + 14 + shown.offsetHeight <= plot.clientHeight;
  shown.style.left = `${Math.max(0, right ? x + 14 : x - 14 - shown.offsetWidth)}px`;
  shown.style.top = `${Math.max(0, below ? y + 14 : y - 14 - shown.offsetHeight)}px`;
}

function step(axis, way) {  // to the next point along an axis, and move the view where that is outside
  const order = dots.map((_, i) => i).filter(i => !faint(i)).sort((a, b) => dots[a][axis] - dots[b][axis]);
  const now = order.indexOf(chosen);
  choose(order[now < 0 ? 0 : Math.min(order.length - 1, Math.max(0, now + way))]);
  const { x, y } = dots[chosen], { w, h } = view;
  const seen = x >= view.x && x <= view.x + w && y >= view.y && y <= view.y + h;
  if (!seen) look({ x: x - w / 2, y: y - h / 2, w });
}

function listen() {
  const plot = part('plot');
  plot.onpointermove = event => {
    if (!drag) return choose(nearest(event));
    const { pixels } = at(event);
    look({ x: drag.x - (event.clientX - drag.left) / pixels, y: drag.y - (event.clientY - drag.top) / pixels, w: view.w });
  };
  plot.onpointerdown = event => {
    choose(nearest(event));
    if (view.w === whole.w) return;
    drag = { x: view.x, y: view.y, left: event.clientX, top: event.clientY };
    plot.setPointerCapture(event.pointerId);
  };
  plot.onpointerup = plot.onpointercancel = () => { drag = null; };
  plot.onpointerleave = event => { if (event.pointerType === 'mouse' && !drag) choose(-1); };
  plot.addEventListener('wheel', event => {
    if (!event.ctrlKey && !event.metaKey && document.activeElement !== plot) return;  // the page scrolls
    event.preventDefault();
    const { x, y } = at(event);
    zoom(Math.exp(event.deltaY * 0.002), x, y);
  }, { passive: false });
  const keys = {
    ArrowRight: () => step('x', 1), ArrowLeft: () => step('x', -1), ArrowUp: () => step('y', -1),
    ArrowDown: () => step('y', 1), '+': () => zoom(0.6), '-': () => zoom(1 / 0.6), 0: () => look(whole), Escape: () => choose(-1),
  };
  plot.onkeydown = event => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    keys[event.key]();
  };
  part('in').onclick = () => zoom(0.6);
  part('out').onclick = () => zoom(1 / 0.6);
  part('all').onclick = () => look(whole);
}

listen();
watch('value', () => { listen(); draw(); });
draw();
