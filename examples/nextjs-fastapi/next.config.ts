import type { NextConfig } from "next";

const config: NextConfig = {
  output: "export", // plain files in out/, which the back end serves
};

export default config;
