'use strict';
const data = JSON.parse(document.getElementById('data').textContent);
const tip = document.getElementById('tip');
const MARKS = {
  'in-time': 'in time', 'late': 'late', 'lost-there': 'lost there', 'lost-back': 'lost back', 'lost': 'lost',
  'rate-limited': 'rate-limited', 'limited-or-lost': 'limited or lost',
  'dropped-locally': 'dropped here', 'refused': 'refused', 'unknown': 'cannot tell', 'not-sent': 'not sent',
};
const ANSWERS = ['in-time', 'late'];

// Everything from the run goes in as text, never as markup.
function element(parent, name, text) {
  const child = parent.appendChild(document.createElement(name));
  if (text !== undefined) child.textContent = text;
  return child;
}

function list(id, lines) {
  for (const line of lines) element(document.getElementById(id), 'li', line);
}

const colour = name => getComputedStyle(document.documentElement).getPropertyValue('--' + name);
const digits = value => value.toLocaleString('en', { maximumSignificantDigits: 4, useGrouping: false });
const seconds = row => row.covers > 1 ? `seconds ${row.second} to ${row.second + row.covers - 1}` : `second ${row.second}`;

const showsDeadline = data.times && data.deadline !== null && data.deadline >= data.times.low && data.deadline < data.times.high;

// The same rules as those of the drawn pictures.
const fromZero = high => ({ low: 0, high: high > 0 ? high * 1.05 : 1, log: false });
const place = (axis, value) => axis.log ? Math.log10(Math.max(value, axis.low)) : value;

function ticks(axis, wanted) {
  if (axis.log) {
    const decades = [];
    for (let power = -12; power <= 12; power++) {
      const decade = 10 ** power;
      if (decade * 10 > axis.low && decade <= axis.high) decades.push(decade);
    }
    const steps = decades.length <= 3 ? [1, 2, 5] : [1];
    return decades.flatMap(decade => steps.map(step => decade * step)).filter(v => v >= axis.low && v <= axis.high);
  }
  // A narrow axis may lie between two round values: finer ones, then.
  for (let finer = 1; finer <= 8; finer *= 2) {
    const values = multiples(axis, (axis.high - axis.low) / (Math.max(1, wanted) * finer));
    if (values.length > 1) return axis.whole ? values.filter(value => Math.abs(value % 1) < 1e-9) : values;
  }
  return [];
}

function multiples(axis, least) {
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1e-12)));
  const step = power * [1, 2, 5, 10].find(step => step * power >= least * 0.999);
  const values = [];
  for (let index = Math.ceil(axis.low / step); index * step <= axis.high && values.length < 100; index++) {
    values.push(index * step);
  }
  return values;
}

function tickLabel(axis, value) {
  return String(Number(value.toPrecision(axis.log ? 2 : 8)));
}

// A panel: `draw` paints into the frame, `items` are the things that have a value to show.
class Panel {
  constructor(id, caption, options) {
    Object.assign(this, { lanes: [], items: [], near: 'x' }, options);
    const figure = document.getElementById(id);
    element(figure, 'figcaption', caption);
    this.canvas = element(figure, 'canvas');
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute('role', 'img');
    this.canvas.setAttribute('aria-label', `${caption}: ${this.y.label} against ${this.x.label}; arrow keys show values`);
    this.chosen = -1;
    this.canvas.addEventListener('pointermove', event => this.point(event));
    this.canvas.addEventListener('pointerdown', event => this.point(event));
    // A finger leaves when it is lifted; what it showed stays until the next touch elsewhere.
    this.canvas.addEventListener('pointerleave', event => event.pointerType === 'touch' || this.choose(-1));
    this.canvas.addEventListener('blur', () => this.choose(-1));
    this.canvas.addEventListener('keydown', event => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step || !this.items.length) return;
      event.preventDefault();
      this.choose(Math.min(this.items.length - 1, Math.max(0, this.chosen + step)));
    });
  }

  paint() {
    const { canvas, x, y } = this;
    const width = canvas.clientWidth, height = canvas.clientHeight, ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const ink = canvas.getContext('2d');
    ink.scale(ratio, ratio);
    ink.font = '12px system-ui, sans-serif';
    const upTicks = ticks(y, Math.floor(height / 45));
    const labels = upTicks.map(tick => tickLabel(y, tick)).concat(this.lanes.map(lane => MARKS[lane]));
    const left = 28 + Math.max(...labels.map(label => ink.measureText(label).width), 20);
    const top = 8 + 18 * this.lanes.length, right = width - 10, bottom = height - 40;
    const scale = (axis, from, to) => {
      const low = place(axis, axis.low), span = place(axis, axis.high) - low;
      return value => from + (place(axis, value) - low) / span * (to - from);
    };
    this.px = scale(x, left, right);
    this.py = scale(y, bottom, top);
    this.lane = name => 8 + 18 * this.lanes.indexOf(name);

    ink.strokeStyle = colour('grid');
    ink.fillStyle = colour('soft');
    ink.textBaseline = 'middle';
    ink.textAlign = 'right';
    for (const tick of upTicks) {
      line(ink, [[left, this.py(tick)], [right, this.py(tick)]]);
      ink.fillText(tickLabel(y, tick), left - 6, this.py(tick));
    }
    ink.textAlign = 'center';
    ink.textBaseline = 'top';
    for (const tick of ticks(x, Math.floor((right - left) / 70))) {
      line(ink, [[this.px(tick), top], [this.px(tick), bottom]]);
      ink.fillText(tickLabel(x, tick), this.px(tick), bottom + 6);
    }
    ink.fillText(x.label, (left + right) / 2, bottom + 23);
    ink.save();
    ink.translate(2, (top + bottom) / 2);
    ink.rotate(-Math.PI / 2);
    ink.fillText(y.label, 0, 0);
    ink.restore();
    ink.textAlign = 'right';
    for (const lane of this.lanes) {
      ink.fillStyle = colour(lane);
      ink.fillText(MARKS[lane], left - 6, this.lane(lane) + 1);
    }
    this.draw(ink, { left, right, top, bottom });
    const item = this.items[this.chosen];
    if (item) {
      const [atX, atY] = item.at(this);
      ink.strokeStyle = colour('ink');
      ink.lineWidth = 2;
      ink.beginPath();
      ink.arc(atX, atY, 6, 0, 2 * Math.PI);
      ink.stroke();
    }
  }

  point(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top;
    let best = -1, least = this.near === 'x' ? Infinity : 40 ** 2;
    this.items.forEach((item, index) => {
      const [atX, atY] = item.at(this);
      const distance = (atX - x) ** 2 + (this.near === 'x' ? 0 : (atY - y) ** 2);
      if (distance < least) [best, least] = [index, distance];
    });
    this.choose(best);
  }

  choose(index) {
    if (index === this.chosen) return;
    this.chosen = index;
    this.paint();
    const item = this.items[index];
    tip.hidden = !item;
    if (!item) return;
    tip.textContent = item.text;
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = item.at(this);
    const left = Math.min(box.left + x + 12, document.documentElement.clientWidth - tip.offsetWidth - 4);
    tip.style.left = `${Math.max(4, left)}px`;
    tip.style.top = `${Math.max(4, box.top + y - tip.offsetHeight - 12)}px`;
  }
}

function line(ink, points) {
  ink.beginPath();
  points.forEach(([x, y], index) => index ? ink.lineTo(x, y) : ink.moveTo(x, y));
  ink.stroke();
}

function curve(id, caption, label, value) {
  const rows = data.seconds;
  const last = rows.length ? rows[rows.length - 1] : { second: 1, covers: 1 };
  return new Panel(id, caption, {
    x: { ...fromZero(last.second + last.covers - 1), whole: true, label: 'second since the start' },
    y: { ...fromZero(Math.max(0, ...rows.map(value))), label },
    items: rows.map(row => ({
      at: panel => [panel.px(row.second), panel.py(value(row))],
      text: `${seconds(row)}\n${digits(value(row))} ${label.match(/\((.*)\)/)[1]}`,
    })),
    draw(ink) {
      ink.strokeStyle = ink.fillStyle = colour(id);
      ink.lineWidth = 2;
      const points = this.items.map(item => item.at(this));
      line(ink, points);
      if (points.length > 120) return;
      for (const [x, y] of points) {
        ink.beginPath();
        ink.arc(x, y, 3.5, 0, 2 * Math.PI);
        ink.fill();
      }
    },
  });
}

function probes() {
  const y = data.times || fromZero(0);
  const shown = new Set(data.dots.map(dot => dot[3]));
  const radius = data.dots.length < 200 ? 3.5 : data.dots.length < 2000 ? 2.5 : 1.5;
  return new Panel('probes', 'Every probe, by when it was sent', {
    near: 'both',
    x: { low: 0, high: Math.max(data.duration, 1e-3), log: false, label: 'time since the start (s)' },
    y: { ...y, label: timesLabel(y) },
    lanes: Object.keys(MARKS).filter(mark => shown.has(mark) && !ANSWERS.includes(mark)),
    items: data.dots.map(([seq, at, rtt, mark]) => ({
      mark,
      at: panel => [panel.px(at), rtt === null ? panel.lane(mark) + 7 : panel.py(rtt)],
      text: `probe ${seq} at ${digits(at)} s\n${rtt === null ? '' : digits(rtt) + ' ms, '}${MARKS[mark]}`,
    })),
    draw(ink, { left, right }) {
      if (showsDeadline) {
        const level = this.py(data.deadline);
        ink.strokeStyle = colour('soft');
        ink.setLineDash([5, 4]);
        line(ink, [[left, level], [right, level]]);
        ink.setLineDash([]);
      }
      for (const mark of Object.keys(MARKS)) {
        ink.fillStyle = colour(mark);
        ink.globalAlpha = ANSWERS.includes(mark) ? 0.75 : 1;
        for (const item of this.items) {
          if (item.mark !== mark) continue;
          const [x, y] = item.at(this);
          if (ANSWERS.includes(mark)) {
            ink.beginPath();
            ink.arc(x, y, radius, 0, 2 * Math.PI);
            ink.fill();
          } else {
            ink.fillRect(x - 0.75, y - 7, 1.5, 14);
          }
        }
      }
      ink.globalAlpha = 1;
    },
  });
}

function distribution() {
  const x = data.times || fromZero(0);
  const all = bin => bin.in_time + bin.late;
  return new Panel('distribution', 'Distribution', {
    x: { ...x, label: timesLabel(x) },
    y: { ...fromZero(Math.max(0, ...data.bins.map(all))), whole: true, label: 'answers' },
    items: data.bins.map(bin => ({
      at: panel => [(panel.px(bin.from) + panel.px(bin.to)) / 2, panel.py(all(bin))],
      text: `${digits(bin.from)} to ${digits(bin.to)} ms\n${bin.in_time} in time, ${bin.late} late`,
    })),
    draw(ink) {
      for (const bin of data.bins) {
        const left = this.px(bin.from), width = Math.max(1, this.px(bin.to) - left - 1);
        ink.fillStyle = colour('in-time');
        ink.fillRect(left, this.py(bin.in_time), width, this.py(0) - this.py(bin.in_time));
        ink.fillStyle = colour('late');
        ink.fillRect(left, this.py(all(bin)), width, this.py(bin.in_time) - this.py(all(bin)));
      }
    },
  });
}

function timesLabel(axis) {
  return axis.log ? 'round-trip time (ms, logarithmic)' : 'round-trip time (ms)';
}

function table() {
  const details = document.getElementById('table');
  details.addEventListener('toggle', () => {
    if (details.querySelector('table')) return;
    const body = element(details, 'table');
    const head = element(body, 'tr');
    for (const name of ['second', 'bit/s', 'mean delay (ms)']) element(head, 'th', name);
    for (const row of data.seconds) {
      const cells = element(body, 'tr');
      for (const text of [row.second, Math.round(row.throughput), digits(row.delay_ns / 1e6)]) element(cells, 'td', text);
    }
  });
}

function legend() {
  const shown = new Set(data.dots.map(dot => dot[3]));
  for (const mark of Object.keys(MARKS)) {
    if (!shown.has(mark)) continue;
    const item = element(document.getElementById('legend'), 'li');
    const symbol = element(item, 'i');
    symbol.style.background = `var(--${mark})`;
    if (!ANSWERS.includes(mark)) symbol.className = 'stroke';
    item.append(MARKS[mark]);
  }
  if (showsDeadline) {
    const item = element(document.getElementById('legend'), 'li');
    element(item, 'i').className = 'level';
    item.append(`late above ${digits(data.deadline)} ms`);
  }
}

list('facts', data.facts);
list('notes', data.notes);
list('summary', data.summary);
legend();
table();
const most = Math.max(0, ...data.seconds.map(row => row.throughput));
const [factor, unit] = most < 1e4 ? [1, 'bit/s'] : most < 1e7 ? [1e3, 'kbit/s'] : most < 1e10 ? [1e6, 'Mbit/s'] : [1e9, 'Gbit/s'];
const panels = [
  curve('throughput', 'Throughput, there and back, of answers in time', `throughput (${unit})`, row => row.throughput / factor),
  curve('delay', 'Mean delay of answers in time (0 where there were none)', 'mean delay (ms)', row => row.delay_ns / 1e6),
  probes(),
  distribution(),
];
const paint = () => panels.forEach(panel => panel.paint());
paint();
window.addEventListener('resize', paint);
window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', paint);
window.addEventListener('scroll', () => panels.forEach(panel => panel.choose(-1)), { passive: true });
