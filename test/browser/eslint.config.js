import js from "@eslint/js";
import prettier from "eslint-config-prettier";
import ts from "typescript-eslint";

export default ts.config({ ignores: ["test-results"] }, js.configs.recommended, ts.configs.strict, prettier, {
  files: ["**/*.ts"],
  languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
  // A step that nobody waits for is a test that passes by luck.
  rules: { "@typescript-eslint/no-floating-promises": "error" },
});
