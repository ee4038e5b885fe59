// The canvas of the tab Digits: black on white; each time the pen is lifted, the drawing is sent to the models.
const canvas = element.querySelector("canvas");
const pen = canvas.getContext("2d", { willReadFrequently: true });

function clear() {
  pen.fillStyle = "white";
  pen.fillRect(0, 0, canvas.width, canvas.height);
}

function drawTo(event, dx = 0) {
  const box = canvas.getBoundingClientRect();
  const x = ((event.clientX - box.left) * canvas.width) / box.width;
  const y = ((event.clientY - box.top) * canvas.height) / box.height;
  pen.lineTo(x + dx, y);
  pen.stroke();
}

function send() {
  trigger("input", { drawing: canvas.toDataURL("image/png") });
}

clear();
pen.lineWidth = 22; // about a tenth of a digit, as in MNIST
pen.lineCap = pen.lineJoin = "round";
canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  pen.beginPath();
  drawTo(event);
  drawTo(event, 0.1); // a click without movement draws a dot: lines of length 0 are not drawn
});
canvas.addEventListener("pointermove", (event) => event.buttons && drawTo(event));
canvas.addEventListener("pointerup", send);
element.querySelector("button").addEventListener("click", () => {
  clear();
  send();
});
