// A fennel stalk that carries a flame.
export function Logo({ size = 26 }: { size?: number }) {
  return (
    <svg viewBox="0 0 32 32" width={size} height={size} aria-hidden="true" focusable="false">
      <g fill="none" stroke="#8ccf9f" strokeLinecap="round">
        <path d="M16 30c-.3-5 .2-9 0-14.5" strokeWidth="2.3" />
        <path d="M15.9 26c-1.2-3.6-3.8-5.6-8-6M16.1 22.5c1.2-3.6 3.8-5.6 8-6" strokeWidth="1.8" />
      </g>
      <path
        d="M16.3 2c.7 3.6 4.9 5.4 4.9 9.9a5.2 5.2 0 0 1-10.4.1c0-2.5 1.3-3.8 2.5-5.3.3 1.1.9 1.7 1.6 2.1.2-2.5.2-4.5 1.4-6.8z"
        fill="#f59f3a"
      />
      <path d="M16.1 9c.4 1.6 2 2.3 2 4a2.1 2.1 0 0 1-4.2 0c0-1.7 1.7-2.2 2.2-4z" fill="#ffe2ae" />
    </svg>
  );
}
