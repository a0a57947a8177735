(() => {
  'use strict';
  const root = document.documentElement;
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  root.classList.add('js');

  // Light and dark: the page's own choice wins over the system's, and `?theme=dark` over both.
  const toggle = document.getElementById('theme');
  const isDark = () => root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  const paint = () => { toggle.textContent = isDark() ? 'Light' : 'Dark'; };
  const asked = new URLSearchParams(location.search).get('theme');
  if (asked === 'dark' || asked === 'light') root.dataset.theme = asked;
  toggle.hidden = false;
  toggle.addEventListener('click', () => { root.dataset.theme = isDark() ? 'light' : 'dark'; paint(); });
  paint();

  // Everything that shows one run, by the run's number.
  const marks = new Map();
  for (const el of all('[data-r]')) {
    const list = marks.get(el.dataset.r);
    if (list) list.push(el); else marks.set(el.dataset.r, [el]);
  }
  // The browser's own tooltips would stand beside ours.
  const texts = new WeakMap();
  const textOfRun = new Map();
  for (const title of all('svg.chart title')) {
    const el = title.parentNode;
    texts.set(el, title.textContent);
    if (el.dataset.r && !textOfRun.has(el.dataset.r)) textOfRun.set(el.dataset.r, title.textContent);
    if (el.classList.contains('p')) { el.setAttribute('role', 'img'); el.setAttribute('aria-label', title.textContent.replaceAll('\n', ', ')); }
    title.remove();
  }

  let shown = null, pinned = null;
  const highlight = run => {
    if (run === shown) return;
    for (const el of marks.get(shown) ?? []) el.classList.remove('hl');
    for (const el of marks.get(run) ?? []) el.classList.add('hl');
    root.classList.toggle('hovering', run != null);
    shown = run;
  };

  const tip = document.getElementById('tip');
  const place = (x, y) => {
    const box = tip.getBoundingClientRect();
    const left = x + 16 + box.width > innerWidth ? Math.max(4, x - 16 - box.width) : x + 16;
    const top = Math.min(Math.max(4, y - box.height / 2), innerHeight - box.height - 4);
    tip.style.left = left + 'px';
    tip.style.top = top + 'px';
  };
  const tell = (text, extra, x, y) => {
    const [name, ...lines] = text.split('\n');
    const head = document.createElement('b');
    head.textContent = name;
    const list = document.createElement('dl');
    for (const line of [...lines, ...extra]) {
      const at = line.indexOf(': ');
      const dt = document.createElement('dt'), dd = document.createElement('dd');
      dt.textContent = line.slice(0, at);
      dd.textContent = line.slice(at + 2);
      list.append(dt, dd);
    }
    tip.replaceChildren(head, list);
    tip.hidden = false;
    place(x, y);
  };
  const hush = () => { tip.hidden = true; highlight(pinned); };

  // Places of points and of the corners of curves in a chart, in the drawing's units.
  const known = new WeakMap();
  const placesOf = svg => {
    if (known.has(svg)) return known.get(svg);
    const places = [];
    for (const el of all('.p', svg)) {
      const [x, y] = el.dataset.at.split(',').map(Number);
      places.push({ el, x, y, point: true });
    }
    for (const el of all('path[data-r]:not(.p)', svg)) {
      const numbers = el.getAttribute('d').match(/-?[\d.]+/g).map(Number);
      let x = 0, y = 0;
      for (let i = 0; i + 1 < numbers.length; i += 2) { x += numbers[i]; y += numbers[i + 1]; places.push({ el, x, y, point: false }); }
    }
    known.set(svg, places);
    return places;
  };
  const readOut = (text, at) => {
    const [kind, low, high, from, to] = text.split(' ');
    const share = (at - from) / (to - from);
    const value = kind === 'log' ? low * Math.pow(high / low, share) : +low + share * (high - low);
    return Math.abs(value) >= 1e5 ? value.toExponential(2).replace('e+', 'e') : value.toPrecision(4);
  };
  const nearest = (svg, x, y, reach) => {
    let best = null, least = reach * reach;
    for (const mark of placesOf(svg)) {
      // A point wins over a curve that passes just as near.
      const distance = (mark.x - x) ** 2 + (mark.y - y) ** 2 + (mark.point ? 0 : 16);
      if (distance < least && !mark.el.closest('g.off')) { best = mark; least = distance; }
    }
    return best;
  };
  const showMark = (svg, mark, x, y) => {
    const run = mark.el.dataset.r ?? null;
    highlight(run ?? pinned);
    const text = texts.get(mark.el) ?? textOfRun.get(run);
    if (!text) { tip.hidden = true; return; }
    const extra = mark.point ? [] : ['here: ' + readOut(svg.dataset.y, mark.y) + ' at ' + readOut(svg.dataset.x, mark.x)];
    tell(text, extra, x, y);
  };

  for (const svg of all('svg.chart')) {
    const under = event => {
      const matrix = svg.getScreenCTM();
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
      return nearest(svg, at.x, at.y, 26 / matrix.a);
    };
    svg.addEventListener('pointermove', event => {
      const mark = under(event);
      svg.style.cursor = mark ? 'pointer' : '';
      if (mark) showMark(svg, mark, event.clientX, event.clientY); else hush();
    });
    svg.addEventListener('pointerleave', hush);
    svg.addEventListener('click', event => {
      const mark = under(event);
      const run = mark?.el.dataset.r ?? null;
      pinned = run === pinned ? null : run;
      highlight(pinned);
      if (mark) showMark(svg, mark, event.clientX, event.clientY);
    });

    // One stop of the tab key per chart; the arrows go from point to point.
    const points = all('.p', svg).sort((a, b) => parseFloat(a.dataset.at) - parseFloat(b.dataset.at));
    points.forEach((el, i) => {
      el.tabIndex = i ? -1 : 0;
      el.addEventListener('focus', () => {
        if (!el.matches(':focus-visible')) return;
        const box = el.getBoundingClientRect();
        showMark(svg, { el, point: true }, box.right, box.top);
      });
      el.addEventListener('blur', hush);
      el.addEventListener('keydown', event => {
        const to = { ArrowRight: i + 1, ArrowDown: i + 1, ArrowLeft: i - 1, ArrowUp: i - 1, Home: 0, End: points.length - 1 }[event.key];
        if (to == null || !points[to]) return;
        event.preventDefault();
        el.tabIndex = -1;
        points[to].tabIndex = 0;
        points[to].focus();
      });
    });
  }
  addEventListener('keydown', event => { if (event.key === 'Escape') { pinned = null; hush(); } });

  for (const button of all('.legend button')) {
    button.addEventListener('click', () => {
      const isOn = button.getAttribute('aria-pressed') !== 'true';
      button.setAttribute('aria-pressed', isOn);
      for (const group of all('g[data-s="' + button.dataset.s + '"]', button.closest('figure'))) group.classList.toggle('off', !isOn);
    });
  }

  for (const row of all('tr[data-r]')) {
    row.addEventListener('pointerenter', () => highlight(row.dataset.r));
    row.addEventListener('pointerleave', hush);
    row.addEventListener('click', () => { pinned = pinned === row.dataset.r ? null : row.dataset.r; highlight(pinned); });
  }
  for (const table of all('table.sort')) {
    const body = table.tBodies[0];
    const value = (row, i) => {
      const cell = row.cells[i];
      return cell.dataset.v != null ? +cell.dataset.v : cell.classList.contains('num') ? null : cell.textContent;
    };
    all('th', table).forEach((th, i) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = th.textContent;
      th.replaceChildren(button);
      button.addEventListener('click', () => {
        const sign = th.getAttribute('aria-sort') === 'ascending' ? -1 : 1;
        for (const other of all('th', table)) other.removeAttribute('aria-sort');
        th.setAttribute('aria-sort', sign > 0 ? 'ascending' : 'descending');
        const rows = [...body.rows].map(row => [value(row, i), row]);
        // What is not known comes last, whichever way the rest is sorted.
        rows.sort(([a], [b]) => a === b ? 0 : a == null ? 1 : b == null ? -1 : sign * (typeof a === 'string' ? a.localeCompare(b, 'en', { numeric: true }) : a - b));
        body.append(...rows.map(([, row]) => row));
      });
    });
  }

  // The part of the page that is being read.
  const links = new Map(all('nav a').map(link => [link.hash.slice(1), link]));
  const seen = new IntersectionObserver(entries => {
    for (const entry of entries) if (entry.isIntersecting) {
      for (const link of links.values()) link.removeAttribute('aria-current');
      links.get(entry.target.id)?.setAttribute('aria-current', 'true');
    }
  }, { rootMargin: '-20% 0px -70% 0px' });
  for (const section of all('section[id]')) seen.observe(section);

  // Browsers that cannot open a closed part by style alone.
  let closed = [];
  addEventListener('beforeprint', () => { closed = all('details:not([open])'); for (const el of closed) el.open = true; });
  addEventListener('afterprint', () => { for (const el of closed) el.open = false; });
})();
