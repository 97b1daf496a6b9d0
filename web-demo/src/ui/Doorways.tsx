/** Rooms in a row, seen through their doors. */
export function Doorways() {
  return (
    <svg className="doorways" viewBox="0 0 600 800" preserveAspectRatio="xMidYMid slice" aria-hidden="true">
      <rect width="600" height="800" className="d0" />
      <path d="M60 800V330a240 240 0 0 1 480 0v470z" className="d1" />
      <path d="M128 800V400a172 172 0 0 1 344 0v400z" className="d2" />
      <path d="M180 780V452a120 120 0 0 1 240 0v328z" className="d3" />
      <path d="M220 744V490a80 80 0 0 1 160 0v254z" className="d4" />
      <path d="M250 712V520a50 50 0 0 1 100 0v192z" className="d5" />
      <path d="M272 688V544a28 28 0 0 1 56 0v144z" className="d6" />
      <path d="M250 712l-30 32h160l-30-32zM220 744l-40 36h240l-40-36z" className="floor" />
      <path d="M272 688l-22 24h100l-22-24z" className="floor far" />
    </svg>
  );
}
