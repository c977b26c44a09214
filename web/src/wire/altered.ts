// Names for what is asked about altered photos and networks.
import type { components } from "./schema";

type Schemas = components["schemas"];
export type Shape = Schemas["Shape"];
export type Stroke = Schemas["Stroke"];
export type Tiles = Schemas["Tiles"];
export type Edit = Schemas["Edit"];
export type FillName = Edit["fill"];
export type Edited = Schemas["EditedAnswer"];
export type Patch = Schemas["Patch"];
export type Hidden = Schemas["PlacesAnswer"];
export type HiddenPlace = Schemas["HiddenPlace"];
export type Deletion = Schemas["DeletionAnswer"];
export type Depth = Schemas["DepthAnswer"];
export type Switch = Schemas["Switch"];
export type Switched = Schemas["SwitchedAnswer"];
export type Brings = Schemas["BringsAnswer"];
